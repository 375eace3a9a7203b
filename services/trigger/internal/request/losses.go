package request

import "example.org/ncm/pkg/contract"

// losses is how many files of a finished migration are at the source alone. The
// counts and the lists are kept by different rules in different services, so the
// larger number is taken: with doubt nothing is deleted.
func losses(t contract.Tracking) int64 {
	listed := int64(len(t.Skipped)) + max(t.SkippedTruncatedCount, 0) + max(t.ErrorsTruncatedCount, 0)
	for _, failure := range t.Errors {
		if failure.Path != "" { // else it is about the migration as a whole
			listed++
		}
	}
	return max(listed, t.Progress.FilesTotal-t.Progress.FilesImported)
}
