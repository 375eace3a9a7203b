package pack

import (
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"strings"
	"time"
)

// bom is a CycloneDX document, as far as a Go binary can fill it.
type bom struct {
	Schema       string         `json:"$schema"`
	Format       string         `json:"bomFormat"`
	SpecVersion  string         `json:"specVersion"`
	Version      int            `json:"version"`
	Metadata     bomMetadata    `json:"metadata"`
	Components   []bomComponent `json:"components"`
	Dependencies []bomDepends   `json:"dependencies"`
}

type bomMetadata struct {
	Timestamp string       `json:"timestamp"`
	Component bomComponent `json:"component"`
}

type bomComponent struct {
	Type       string        `json:"type"`
	Ref        string        `json:"bom-ref"`
	Name       string        `json:"name"`
	Version    string        `json:"version,omitempty"`
	PURL       string        `json:"purl,omitempty"`
	Properties []bomProperty `json:"properties,omitempty"`
}

type bomProperty struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type bomDepends struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn"`
}

// SBOM lists what is linked into a binary, as CycloneDX 1.6: the modules that the
// toolchain recorded in it, and the standard library.
func SBOM(binary, version string, date time.Time) ([]byte, error) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return nil, fmt.Errorf("read what is in %s: %w", binary, err)
	}
	root := bomComponent{
		Type: "application", Name: info.Path, Version: version, Ref: info.Path,
		Properties: []bomProperty{{"go:version", info.GoVersion}},
	}
	for _, s := range info.Settings {
		if strings.HasPrefix(s.Key, "vcs") || s.Key == "GOOS" || s.Key == "GOARCH" {
			root.Properties = append(root.Properties, bomProperty{"go:" + s.Key, s.Value})
		}
	}
	doc := bom{
		Schema: "http://cyclonedx.org/schema/bom-1.6.schema.json", Format: "CycloneDX", SpecVersion: "1.6", Version: 1,
		Metadata:   bomMetadata{Timestamp: date.UTC().Format(time.RFC3339), Component: root},
		Components: []bomComponent{library(&debug.Module{Path: "std", Version: strings.TrimPrefix(info.GoVersion, "go")})},
	}
	for _, module := range info.Deps {
		doc.Components = append(doc.Components, library(module))
	}
	all := bomDepends{Ref: root.Ref}
	for _, c := range doc.Components {
		all.DependsOn = append(all.DependsOn, c.Ref)
	}
	doc.Dependencies = []bomDepends{all}
	content, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the list for %s: %w", binary, err)
	}
	return append(content, '\n'), nil
}

// library describes a module. One of this repository stands under its own path,
// without a version, since nobody else publishes it.
func library(m *debug.Module) bomComponent {
	if m.Replace != nil && strings.HasPrefix(m.Replace.Path, ".") {
		return bomComponent{Type: "library", Ref: m.Path, Name: m.Path}
	}
	if m.Replace != nil {
		m = m.Replace
	}
	purl := "pkg:golang/" + strings.ToLower(m.Path) + "@" + m.Version
	c := bomComponent{Type: "library", Ref: purl, Name: m.Path, Version: m.Version, PURL: purl}
	if m.Sum != "" {
		c.Properties = []bomProperty{{"go:sum", m.Sum}}
	}
	return c
}
