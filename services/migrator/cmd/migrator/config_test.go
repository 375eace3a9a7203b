package main

import (
	"strings"
	"testing"
)

func TestTheTransferModeFitsTheKinds(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		mode     transferMode
		external string
		fits     bool
	}{
		"files":             {modeFiles, copyKind, true},
		"files with a skip": {modeFiles, skipKind, true},
		"stack":             {modeStack, copyKind, true},
		"stack with a skip": {modeStack, skipKind, false},
		"unknown":           {"both", copyKind, false},
	} {
		cfg := SidesConfig{Mode: test.mode, KindsConfig: KindsConfig{Shared: copyKind, Group: copyKind, External: test.external}}
		if err := cfg.validate(); strings.Contains(err.Error(), "TRANSFER_MODE") == test.fits {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKindsAreCopiedOrSkipped(t *testing.T) {
	t.Parallel()
	valid := KindsConfig{Shared: copyKind, Group: skipKind, External: copyKind, Largest: 5}
	if err := valid.validate(); err != nil {
		t.Error(err)
	}
	if m := valid.mounts(); m.SkipShared || !m.SkipGroup || m.SkipExternal || m.Largest != 5 {
		t.Errorf("mounts %+v", m)
	}
	faults := (&KindsConfig{Shared: "Copy", Group: "", External: "no", Largest: -1}).validate()
	for _, setting := range []string{"SHARED_FILES", "GROUP_FOLDERS", "EXTERNAL_STORAGES", "MOUNT_LIMIT"} {
		if faults == nil || !strings.Contains(faults.Error(), setting) {
			t.Errorf("%v does not name %s", faults, setting)
		}
	}
}

func TestInStackModeNoTokenOpensAccounts(t *testing.T) {
	t.Parallel()
	if scope := modeStack.scope(); strings.Contains(scope, "io.cozy.accounts") || !strings.Contains(scope, "io.cozy.files") {
		t.Errorf("scope %q", scope)
	}
	if scope := modeFiles.scope(); !strings.Contains(scope, "io.cozy.accounts") {
		t.Errorf("scope %q", scope)
	}
}
