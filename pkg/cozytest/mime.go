package cozytest

import (
	"mime"
	"path/filepath"
	"strings"
)

const mimeUnknown = "application/octet-stream"

// mimeByExtension holds what must not depend on the machine's own tables.
var mimeByExtension = map[string]string{
	".cozy-note": "text/vnd.cozy.note+markdown",
	".csv":       "text/csv",
	".docx":      "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	".go":        "text/x-go",
	".jpeg":      "image/jpeg",
	".jpg":       "image/jpeg",
	".md":        "text/markdown",
	".mp4":       "video/mp4",
	".pdf":       "application/pdf",
	".png":       "image/png",
	".txt":       "text/plain",
	".url":       "application/internet-shortcut",
	".zip":       "application/zip",
}

var classByMime = map[string]string{
	mimeUnknown:                     "files",
	"application/internet-shortcut": "shortcut",
	"application/msword":            "text",
	"application/pdf":               "pdf",
	"application/vnd.ms-excel":      "spreadsheet",
	"application/vnd.ms-powerpoint": "slide",
	"application/vnd.openxmlformats-officedocument.presentationml.presentation": "slide",
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet":         "spreadsheet",
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document":   "text",
	"application/zip": "zip",
	"text/css":        "code",
	"text/html":       "code",
	"text/x-go":       "code",
	"text/xml":        "code",
}

// mimeAndClass trusts a Content-Type other than octet-stream, whatever it
// says, and goes by the name's extension otherwise.
func mimeAndClass(contentType, name string) (mimeType, class string) {
	mimeType, _, _ = strings.Cut(contentType, ";")
	mimeType = strings.TrimSpace(mimeType)
	if mimeType == "" || mimeType == mimeUnknown {
		mimeType = mimeOfName(name)
	}
	if class, ok := classByMime[mimeType]; ok {
		return mimeType, class
	}
	class, _, _ = strings.Cut(mimeType, "/")
	return mimeType, class
}

func mimeOfName(name string) string {
	ext := strings.ToLower(filepath.Ext(name))
	if known, ok := mimeByExtension[ext]; ok {
		return known
	}
	if guess, _, _ := strings.Cut(mime.TypeByExtension(ext), ";"); guess != "" {
		return guess
	}
	return mimeUnknown
}
