package cozy_test

import (
	"slices"
	"strings"
	"testing"

	"example.org/ncm/pkg/cozy"
)

func put(t *testing.T, i *cozy.Instance, name, content string) cozy.File {
	t.Helper()
	f, err := i.Upload(t.Context(), cozy.Upload{
		DirID: cozy.RootDirID, Name: name, Size: int64(len(content)), Body: strings.NewReader(content),
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFilesByIDLeavesOutWhatIsGoneAndMarksWhatIsInTheTrash(t *testing.T) {
	t.Parallel()
	_, _, i := simulate(t)
	kept, gone, trashed := put(t, i, "kept", "a"), put(t, i, "gone", "b"), put(t, i, "trashed", "c")
	if err := i.Destroy(t.Context(), gone.ID); err != nil {
		t.Fatal(err)
	}
	if err := i.Trash(t.Context(), trashed.ID); err != nil {
		t.Fatal(err)
	}
	found, err := i.FilesByID(t.Context(), []string{kept.ID, gone.ID, trashed.ID, "deadbeef"})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, f := range found {
		got[f.Name] = f.Trashed
	}
	if len(got) != 2 || got["kept"] || !got["trashed"] {
		t.Errorf("found (name: in the trash) %v", got)
	}
	if k := slices.IndexFunc(found, func(f cozy.File) bool { return f.ID == kept.ID }); k < 0 || string(found[k].MD5) != string(kept.MD5) || found[k].DirID != cozy.RootDirID {
		t.Errorf("found %+v, want %+v", found, kept)
	}
}

func TestReplaceKeepsTheFileAndWhatIsSentAgainOfIt(t *testing.T) {
	t.Parallel()
	_, inst, i := simulate(t)
	old := put(t, i, "a.txt", "old")
	metadata, err := i.AddMetadata(t.Context(), []byte(`{"label":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	replace := func(rev, content string) (cozy.File, error) {
		return i.Replace(t.Context(), old.ID, rev, cozy.Upload{
			Size: int64(len(content)), Body: strings.NewReader(content), Executable: true, Tags: []string{"t1", "t2"}, MetadataID: metadata,
		})
	}
	if _, err := replace("1-stale", "never"); !cozy.IsStale(err) {
		t.Fatalf("with a stale revision: %v", err)
	}
	f, err := replace(old.Rev, "newer")
	if err != nil {
		t.Fatal(err)
	}
	if f.ID != old.ID || f.Name != "a.txt" || f.Size != 5 || f.Rev == old.Rev {
		t.Errorf("replaced %+v", f)
	}
	if !f.Executable || !slices.Equal(f.Tags, []string{"t1", "t2"}) || string(f.Metadata) != `{"label":"x"}` {
		t.Errorf("executable %v, tags %v, metadata %s", f.Executable, f.Tags, f.Metadata)
	}
	if files, versions := inst.Usage(); files != 5 || versions != 3 {
		t.Errorf("%d bytes in files and %d in versions, want 5 and 3", files, versions)
	}
	if err := i.Trash(t.Context(), old.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := replace("", "again"); !cozy.IsNotFound(err) {
		t.Errorf("in the trash: %v", err)
	}
}
