package main

import (
	"fmt"
	"strings"
	"time"
)

// scenario is a comparison of two ways to move files.
type scenario struct {
	name    string
	aim     float64       // of the ratio subject to floor
	delay   time.Duration // added to each answer of the source
	floor   load
	subject load
}

// load is what is moved in one lap, and how.
type load struct {
	label    string
	pipe     bool // the bare pipe instead of the migrator
	folder   string
	files    int
	size     int64 // bytes of each file
	unit     string
	parallel int
}

// What rates are counted in.
const (
	unitFiles = "files"
	unitMB    = "MB"
)

const (
	kilobyte = int64(1000)
	megabyte = 1000 * kilobyte
)

// total is in bytes.
func (l load) total() int64 { return int64(l.files) * l.size }

// units is how much is moved, as rates count it.
func (l load) units() float64 {
	if l.unit == unitMB {
		return float64(l.total()) / float64(megabyte)
	}
	return float64(l.files)
}

// by names who moves the load.
func (l load) by(who string) load {
	l.pipe = who == "pipe"
	l.label = fmt.Sprintf("%s, %d at once", who, l.parallel)
	return l
}

// profile gives the scenarios of a profile's name.
func profile(name string) ([]scenario, error) {
	switch name {
	case "default":
		return []scenario{small(5000), large(1000 * megabyte), latency(150, 1500)}, nil
	case "quick":
		return []scenario{small(200), large(10 * megabyte), latency(10, 100)}, nil
	}
	return nil, fmt.Errorf("unknown profile %q; there are default and quick", name)
}

func small(files int) scenario {
	l := load{folder: "/small", files: files, size: 10 * kilobyte, unit: unitFiles, parallel: 16}
	return scenario{name: "small", aim: 0.7, floor: l.by("pipe"), subject: l.by("migrator")}
}

func large(size int64) scenario {
	l := load{folder: "/large", files: 1, size: size, unit: unitMB, parallel: 16}
	return scenario{name: "large", aim: 0.9, floor: l.by("pipe"), subject: l.by("migrator")}
}

// latency compares the migrator with itself: what it gains by its parallelism.
func latency(serial, parallel int) scenario {
	floor := load{folder: "/serial", files: serial, size: 10 * kilobyte, unit: unitFiles, parallel: 1}
	subject := load{folder: "/parallel", files: parallel, size: 10 * kilobyte, unit: unitFiles, parallel: 16}
	return scenario{
		name: "latency", aim: 12, delay: 40 * time.Millisecond,
		floor: floor.by("migrator"), subject: subject.by("migrator"),
	}
}

// pick gives a profile's scenarios, or the one of a name.
func pick(profileName, only string) ([]scenario, error) {
	all, err := profile(profileName)
	if err != nil || only == "" {
		return all, err
	}
	names := make([]string, 0, len(all))
	for _, s := range all {
		if s.name == only {
			return []scenario{s}, nil
		}
		names = append(names, s.name)
	}
	return nil, fmt.Errorf("unknown scenario %q; there are %s", only, strings.Join(names, ", "))
}
