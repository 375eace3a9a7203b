package transfer

import "io"

// What readahead_test.go looks at.
const (
	AheadBlocks = aheadBlocks
	AheadBlock  = aheadBlock
)

func ReadAhead(body io.ReadCloser) io.ReadCloser { return readAhead(body) }
