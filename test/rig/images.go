package rig

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// imagesFile is written by `make images` and says which images there are.
const imagesFile = ".images.env"

type images struct {
	postgres, rabbitmq string
}

func repositoryRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("find the repository: no go.work above the working directory")
		}
		dir = up
	}
}

// findImages reads the images' names, and hands the settings for testcontainers
// that come with them on. The environment comes first, the official images last.
func findImages(root string) (images, error) {
	content, err := os.ReadFile(filepath.Join(root, imagesFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return images{}, fmt.Errorf("read images: %w", err)
	}
	settings := map[string]string{
		"POSTGRES_IMAGE": "postgres:17",
		"RABBITMQ_IMAGE": "rabbitmq:4",
		// The rig removes its containers itself.
		"TESTCONTAINERS_RYUK_DISABLED": "true",
	}
	for line := range strings.Lines(string(content)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			settings[name] = value
		}
	}
	for name, value := range settings {
		if os.Getenv(name) != "" {
			continue
		}
		if err := os.Setenv(name, value); err != nil {
			return images{}, fmt.Errorf("set %s: %w", name, err)
		}
	}
	return images{postgres: os.Getenv("POSTGRES_IMAGE"), rabbitmq: os.Getenv("RABBITMQ_IMAGE")}, nil
}
