package nextcloudtest_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.org/ncm/pkg/transcripttest"
)

// deviation is a recorded exchange that the simulator answers otherwise on
// purpose, or that cannot be replayed.
type deviation struct {
	transcript string
	title      string   // prefix; empty: the whole transcript
	ignore     []string // only differences that hold one of these; nil: all
	reason     string
}

func deviations() []deviation {
	return []deviation{
		{"01-ocs.txt", "capabilities", nil, "apps that no client of ours asks about are left out"},
		{"01-ocs.txt", "GET /index.php/login/v2", nil, "the login flow needs a browser; no client of ours uses it"},
		{"02-bruteforce.txt", "anonymous capabilities", nil, "apps left out, as above; the delay: TestThrottleShowsItsDelay"},
		{"04-propfind.txt", "bob sees alice's href path with @", []string{"header Dav"}, "calendar features of principals"},
		{"07-checksums.txt", "PATCH X-Recalculate-Hash: crc32", nil, "PHP's crc32 is bzip2's, which nobody asks for; ours is the common one"},
		{"07-checksums.txt", "PROPFIND after recalc crc32", []string{"checksums"}, "the same"},
		{"07-checksums.txt", "PATCH X-Recalculate-Hash: md4", nil, "MD4 is not offered"},
		{"07-checksums.txt", "PROPFIND after recalc md4", []string{"checksums"}, "the same"},
		{"07-checksums.txt", "PROPFIND after recalc nope", []string{"checksums"}, "the same, still stored"},
		{"07-checksums.txt", "PATCH X-Recalculate-Hash on 50MB", []string{"header Oc-Checksum"}, "the recorded content is not known"},
		{"07-checksums.txt", "PROPFIND after (etag/mtime changed?)", []string{"checksums"}, "the same"},
		{"08-depth-infinity-search-report.txt", "PROPFIND Depth: 1 paginated", nil, "pagination is ignored: its later pages are broken and nobody may use it"},
		{"08-depth-infinity-search-report.txt", "PROPFIND Depth: infinity paginated", nil, "the same"},
		{"08-depth-infinity-search-report.txt", "SEARCH", nil, "SEARCH reads a cache that the simulator has not, and fails on big accounts: nobody may use it"},
		{"08-depth-infinity-search-report.txt", "REPORT", nil, "REPORT is not simulated: no client of ours sends it"},
		{"08-timings.txt", "", nil, "timings, not an exchange"},
		{"08-search-bodies.txt", "", nil, "request bodies of SEARCH, which is not simulated"},
		{"09-names-get.txt", "", nil, "status and size per name, without headers: TestNamesAreFoundAsRecorded"},
		{"10-disk-side.txt", "PROPFIND after on-disk change", nil, "a file beside a name that is not UTF-8 works: looking at the whole folder for each request costs too much"},
		{"10-disk-side.txt", "GET", nil, "the same; SetGone gives the 503 of a file that is gone, and links, pipes and sockets are not shown"},
		{"10-disk-side.txt", "PROPFIND DiskSide after scan 2", nil, "there is no cache that a scan would change; pipes are not shown"},
		{"11-shares-mounts.txt", "PROPFIND root Depth 1", []string{"permissions"}, "a mount has fewer rights in its parent's listing than in its own; one value serves both"},
		{"12-zip-listing.txt", "", nil, "the listing of an archive, not an exchange: TestZipHasTheRecordedLayout"},
		{"12-zip.txt", "old ajax/download.php", []string{"Vary", "Content-Length"}, "the page of the web interface is only hinted at"},
		{"14-trash.txt", "PROPFIND trash", []string{"DiskSide", "ZipBad", "responses"}, "trashed by earlier recordings"},
		{"14-trash.txt", "bob trash", nil, "a shared folder has no second home: its owner's trashbin gets no copy"},
		{"15-locks-changes.txt", "DAV LOCK", nil, "LOCK and UNLOCK are not simulated, only their effects (SetLock): no client of ours sends them"},
		{"15-locks-changes.txt", "bob locks file", nil, "the same"},
		{"15-locks-changes.txt", "UNLOCK", nil, "the same"},
		{"15-locks-changes.txt", "PROPFIND locked", []string{"lock"}, "lockdiscovery and the type of the owner are not simulated"},
		{"16-bench.txt", "", nil, "timings, not an exchange"},
		{"18-misc.txt", "subpath: OCS user", []string{"header Vary"}, "that web server was configured without gzip"},
		{"18-misc.txt", "subpath: SEARCH", nil, "SEARCH, as above"},
		{"18-misc.txt", "app password WITHOUT filesystem access: SEARCH", nil, "SEARCH, as above"},
		{"18-misc.txt", "bulk", nil, "bulk upload is not simulated"},
		{"19-quota.txt", "", nil, "shapes of one field without a request: TestQuotaShapes"},
		{"20-nc24.txt", "NC24 SEARCH", nil, "SEARCH, as above"},
		{"21-infinity-external.txt", "", nil, "command output: TestUnscannedMountIsEmptyAtDepthInfinity"},
	}
}

// known takes away the differences that are on purpose.
func known(transcript, title string, diffs []string) []string {
	return slices.DeleteFunc(diffs, func(diff string) bool {
		return slices.ContainsFunc(deviations(), func(d deviation) bool {
			return d.transcript == transcript && strings.HasPrefix(title, d.title) && (d.ignore == nil ||
				slices.ContainsFunc(d.ignore, func(part string) bool { return strings.Contains(diff, part) }))
		})
	})
}

// skipped says whether an exchange is not even sent.
func skipped(transcript, title string) bool {
	return slices.ContainsFunc(deviations(), func(d deviation) bool {
		return d.transcript == transcript && strings.HasPrefix(title, d.title) && d.ignore == nil
	})
}

// TestEveryTranscriptIsReplayedOrExplained keeps the table honest: no recording
// is forgotten, and no line stands for nothing.
func TestEveryTranscriptIsReplayedOrExplained(t *testing.T) {
	t.Parallel()
	titles := make(map[string][]string)
	for _, file := range transcripttest.Files(t, "nextcloud", "*.txt") {
		name := filepath.Base(file)
		titles[name] = []string{}
		for _, x := range readTranscript(t, name) {
			titles[name] = append(titles[name], x.Title)
		}
		if len(titles[name]) == 0 && !skipped(name, "") {
			t.Errorf("%s holds no exchange and the table does not say so", name)
		}
	}
	for _, d := range deviations() {
		begins := func(title string) bool { return strings.HasPrefix(title, d.title) }
		if all, ok := titles[d.transcript]; !ok || (d.title != "" && !slices.ContainsFunc(all, begins)) {
			t.Errorf("the table explains %s %q, which is not recorded", d.transcript, d.title)
		}
	}
}
