package sides_test

import (
	"testing"

	"example.org/ncm/test/rig"
)

func TestSource(t *testing.T) { rig.InModes(t, source) }

func source(t *testing.T, m rig.Mode) {
	s := newStage(t, m, nil)
	s.group(t, "serves a file badly", sourceServesAFileBadly)
	s.group(t, "lists a folder badly", sourceListsAFolderBadly)
	s.group(t, "has folders that are not what they seem", sourceHasFoldersThatAreNotWhatTheySeem)
	s.group(t, "changes since it was listed", sourceChangesSinceItWasListed)
	s.group(t, "changes while it is read", sourceChangesWhileItIsRead)
	s.group(t, "claims checksums", sourceClaimsChecksums)
	s.group(t, "takes the account away", sourceTakesTheAccountAway)
	s.group(t, "shows an account that is not there", sourceShowsAnAccountThatIsNotThere)
	s.group(t, "sends us elsewhere", sourceSendsUsElsewhere)
	s.perform(t, "cuts a large file late, which goes on there", sourceCutsALargeFile)
	s.perform(t, "has many bad files, which never stop the rest", sourceHasManyBadFiles)
}
