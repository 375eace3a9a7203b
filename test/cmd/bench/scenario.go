package main

import (
	"fmt"
	"strings"
	"time"
)

// scenario compares ways to do the same; the first is what the others are held to.
type scenario struct {
	name  string
	delay time.Duration // added to each answer of the source
	ways  []load
}

// load is what is moved in one lap, and how.
type load struct {
	label    string
	by       mover
	aim      float64 // of the ratio to the scenario's first way; 0: none
	folder   string
	files    int
	inFolder int   // files in a folder; 0: as many as the source puts there
	size     int64 // bytes of each file
	unit     string
	parallel int
	whole    bool // the migrator asks for archives and whole trees
	listed   bool // nothing can be copied: each file is in a folder of its own and not readable
	unpaced  bool // rclone's pacer is off
	traced   bool // the migrator sends spans to a collector
}

// mover is who moves a load.
type mover string

const (
	byPipe     mover = "pipe"
	byMigrator mover = "migrator"
	byRclone   mover = "rclone"
)

// What rates are counted in.
const (
	unitFiles   = "files"
	unitFolders = "folders"
	unitMB      = "MB"
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

// pipe, single, together and rclone are the ways that a load can take.
func (l load) pipe() load {
	l.by, l.label = byPipe, fmt.Sprintf("pipe, %d at once", l.parallel)
	return l
}

// single is the migrator with a request for each file and folder.
func (l load) single() load {
	l.by, l.label = byMigrator, fmt.Sprintf("migrator, %d at once, one by one", l.parallel)
	return l
}

// together is the migrator as it is.
func (l load) together() load {
	l.by, l.whole, l.label = byMigrator, true, fmt.Sprintf("migrator, %d at once, archives and trees", l.parallel)
	return l
}

// serial is one file at a time, which is how the service before this one did it.
func (l load) serial() load {
	l.parallel = 1
	l = l.single()
	l.label = "one file at a time, as the predecessor"
	return l
}

func (l load) rclone(unpaced bool) load {
	l.by, l.unpaced, l.label = byRclone, unpaced, fmt.Sprintf("rclone, %d at once", l.parallel)
	if unpaced {
		l.label += ", no pacer"
	}
	return l
}

// tracing is the migrator with its traces on.
func (l load) tracing() load {
	l.traced = true
	l.label += ", traced"
	return l
}

func (l load) aiming(ratio float64) load {
	l.aim = ratio
	return l
}

// profile gives the scenarios of a profile's name; many adds those that take long.
func profile(name string, many bool) ([]scenario, error) {
	switch name {
	case "default":
		return []scenario{small(20_000), large(1000 * megabyte), latency(150, 1500)}, nil
	case "quick":
		return []scenario{small(200), large(10 * megabyte), latency(10, 100), listing(30)}, nil
	case profileReal:
		all := []scenario{smallOnReal(300), scattered(300), large(512 * megabyte), listing(300), listing(3000)}
		if many {
			all = append(all, listing(30_000))
		}
		return all, nil
	case profileTracing:
		return []scenario{traced(5000)}, nil
	case profileRclone:
		return []scenario{besideRclone("rclone-paced", 300, false), besideRclone("rclone", 3000, true)}, nil
	}
	return nil, fmt.Errorf("unknown profile %q; there are default, quick, %s, %s and %s", name, profileReal, profileRclone, profileTracing)
}

const (
	// profileReal has servers that cost what the recorded ones do.
	profileReal   = "real"
	profileRclone = "rclone"
	// profileTracing asks what traces cost.
	profileTracing = "tracing"
)

func tenKB(folder string, files int) load {
	return load{folder: folder, files: files, size: 10 * kilobyte, unit: unitFiles, parallel: 16}
}

func small(files int) scenario {
	l := tenKB("/small", files)
	return scenario{name: "small", ways: []load{l.pipe(), l.single(), l.together().aiming(0.9)}}
}

func large(size int64) scenario {
	l := load{folder: "/large", files: 1, size: size, unit: unitMB, parallel: 16}
	return scenario{name: "large", ways: []load{l.pipe(), l.together().aiming(0.97)}}
}

// latency compares the migrator with itself: what it gains by its parallelism.
func latency(serial, parallel int) scenario {
	return scenario{name: "latency", delay: 40 * time.Millisecond, ways: []load{
		tenKB("/serial", serial).serial(), tenKB("/parallel", parallel).single().aiming(12), tenKB("/parallel", parallel).together(),
	}}
}

func smallOnReal(files int) scenario {
	l := tenKB("/small", files)
	return scenario{name: "small", ways: []load{l.serial(), l.single(), l.together()}}
}

// scattered has three files in each folder.
func scattered(files int) scenario {
	l := tenKB("/scattered", files)
	l.inFolder = 3
	return scenario{name: "scattered", ways: []load{l.single(), l.together()}}
}

// listing lists folders without copying anything.
func listing(folders int) scenario {
	l := load{folder: fmt.Sprintf("/list%d", folders), files: folders, size: 1, unit: unitFolders, parallel: 16, listed: true}
	one, tree := l.single(), l.together()
	one.label, tree.label = "folder by folder", "whole trees"
	return scenario{name: fmt.Sprintf("list-%d", folders), ways: []load{one, tree}}
}

func traced(files int) scenario {
	l := tenKB("/traced", files)
	return scenario{name: "tracing", ways: []load{l.single(), l.single().tracing(), l.together(), l.together().tracing()}}
}

func besideRclone(name string, files int, unpaced bool) scenario {
	l := tenKB("/"+name, files)
	return scenario{name: name, ways: []load{l.rclone(unpaced), l.together(), l.single()}}
}

// pick gives a profile's scenarios, or the one of a name.
func pick(profileName, only string, many bool) ([]scenario, error) {
	all, err := profile(profileName, many)
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

// widen has every way of several at once move so many at once.
func widen(scenarios []scenario, parallel int) {
	for _, s := range scenarios {
		for i := range s.ways {
			l := &s.ways[i]
			if l.parallel > 1 {
				l.label = strings.Replace(l.label, fmt.Sprintf("%d at once", l.parallel), fmt.Sprintf("%d at once", parallel), 1)
				l.parallel = parallel
			}
		}
	}
}

// resize has every scenario of several files move so many.
func resize(scenarios []scenario, files int) {
	for _, s := range scenarios {
		for i := range s.ways {
			if s.ways[i].files > 1 {
				s.ways[i].files = files
			}
		}
	}
}
