package nextcloudtest

// total is what is below a folder.
type total struct {
	size  int64
	print uint64 // changes with every change below
}

// totals adds folders up once per request: the walk of a folder leaves the
// totals of all folders below it.
type totals struct {
	home *home
	done map[string]total
}

func (t *totals) of(dir entry) total {
	if got, ok := t.done[dir.path]; ok {
		return got
	}
	var sum total
	if dir.rule != nil {
		sum = dir.rule.total(dir)
	} else {
		sum = t.walk(dir)
	}
	t.done[dir.path] = sum
	return sum
}

func (t *totals) walk(dir entry) total {
	sum := total{print: fingerprint(dir)}
	for e, err := range t.home.children(dir) {
		if err != nil {
			break // a folder that cannot be read weighs nothing
		}
		if e.dir {
			below := t.of(e)
			sum.size += below.size
			sum.print += mix(below.print)
			continue
		}
		sum.size += e.size
		sum.print += fingerprint(e)
	}
	return sum
}

func fingerprint(e entry) uint64 {
	return mix(e.salt ^ mix(uint64(e.size)^mix(uint64(e.mtime.UnixNano()))))
}
