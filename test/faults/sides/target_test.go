package sides_test

import (
	"testing"

	"example.org/ncm/test/rig"
)

func TestTarget(t *testing.T) { rig.InModes(t, target) }

func target(t *testing.T, m rig.Mode) {
	s := newStage(t, m, nil)
	s.group(t, "takes a file badly", targetTakesAFileBadly)
	s.group(t, "takes a folder badly", targetTakesAFolderBadly)
	s.group(t, "has the name already", targetHasTheNameAlready)
	s.group(t, "loses a folder midway", targetLosesAFolderMidway)
	s.group(t, "is taken away", targetIsTakenAway)
	s.perform(t, "renames a folder midway", targetRenamesAFolderMidway)
	s.perform(t, "has a burst of errors", targetHasABurstOfErrors)
	s.perform(t, "shortens a long name", targetShortensALongName)
	s.perform(t, "expires the token midway", targetExpiresTheToken)
	s.perform(t, "is too small from the start", targetIsTooSmallFromTheStart)
	s.perform(t, "fills up midway and is made room in", targetFillsUpMidwayAndIsMadeRoomIn)
}
