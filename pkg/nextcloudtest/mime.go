package nextcloudtest

import (
	"path"
	"strings"
)

// contentType goes by the name alone, with the server's own odd choices.
func contentType(name string) string {
	switch strings.ToLower(path.Ext(name)) {
	case ".txt", ".log", ".conf":
		return "text/plain"
	case ".md":
		return "text/markdown"
	case ".html", ".htm":
		return "text/html"
	case ".css":
		return "text/css"
	case ".csv":
		return "text/csv"
	case ".go":
		return "text/x-go"
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".png":
		return "image/png"
	case ".gif":
		return "image/gif"
	case ".svg":
		return "image/svg+xml"
	case ".mp4":
		return "video/mp4"
	case ".mkv":
		return "video/x-matroska"
	case ".mp3":
		return "audio/mpeg"
	case ".pdf":
		return "application/pdf"
	case ".json":
		return "application/json"
	case ".xml":
		return "application/xml"
	case ".zip":
		return "application/zip"
	case ".gz", ".tgz":
		return "application/gzip"
	case ".tar":
		return "application/x-tar"
	case ".bin", ".img":
		return "application/x-bin"
	default:
		return "application/octet-stream"
	}
}

// sentType is the Content-Type of a GET, which names a charset for text.
func sentType(name string) string {
	t := contentType(name)
	if strings.HasPrefix(t, "text/") {
		return t + ";charset=UTF-8"
	}
	return t
}

func hasPreview(name string, size int64) bool {
	t := contentType(name)
	return strings.HasPrefix(t, "image/") || strings.HasPrefix(t, "text/") && size > 0
}

// compresses says whether the recorded nginx gzips a type.
func compresses(contentType string) bool {
	t, _, _ := strings.Cut(contentType, ";")
	switch t {
	case "text/plain", "text/css", "application/json", "application/xml", "image/svg+xml":
		return true
	default:
		return false
	}
}
