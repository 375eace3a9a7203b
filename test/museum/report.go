package museum

import (
	"path"
	"strconv"
	"strings"
)

// Row is what the report has to say of an exhibit.
type Row struct {
	Path   string // as the report shows it
	Result string
	Reason string // part of it
	Size   string
	MD5    string
	Target string // where it differs
}

// Report gives the rows of all files, and of the folders that have something to say.
func Report(exhibits []Exhibit, targetDir string) []Row {
	var rows []Row
	targets := map[string]string{".": ""}
	for _, e := range exhibits {
		row := Row{Path: shown("/" + e.Path), Reason: e.Want.Reason + e.Want.Note}
		if e.Folder {
			row.Path += "/"
		}
		switch e.Want.Outcome {
		case Unseen:
			continue
		case Skipped:
			row.Result = "skipped"
		case Failed:
			row.Result = "failed"
		case Arrives:
			name := path.Base(e.Path)
			row.Result = "imported"
			if e.Want.Name != "" {
				name, row.Result = e.Want.Name, "renamed"
			}
			target := strings.TrimPrefix(targets[path.Dir(e.Path)]+"/"+name, "/")
			targets[e.Path] = target
			if target != e.Path {
				row.Target = shown(targetDir + "/" + target)
			}
			if e.Folder && row.Result == "imported" {
				continue
			}
			if a := e.arrival(); !e.Folder {
				row.Size, row.MD5 = strconv.FormatInt(a.Size, 10), a.MD5
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// shown is a text with pictures of its control characters.
func shown(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' {
			return '\u2400' + r
		}
		return r
	}, text)
}
