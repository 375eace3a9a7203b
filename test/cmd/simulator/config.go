package main

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"example.org/ncm/pkg/cozytest"
	"example.org/ncm/pkg/nextcloudtest"
	"example.org/ncm/test/tree"
)

// adminUser opens the stack's admin API.
const adminUser = "admin"

type config struct {
	nextclouds, cozy, admin string
	data                    string
	keep, checksums         bool
	users, instances        string
	adminPassword           string
	clouderyToken           string
	tokenTTL, grace         time.Duration
	nextcloudProfile        string
	cozyProfile             string
	logLevel                string
}

// parse reads the flags, and for those that are not given the environment.
func parse(args []string, getenv func(string) string) (*config, error) {
	c := &config{}
	flags := flag.NewFlagSet("simulator", flag.ContinueOnError)
	flags.StringVar(&c.nextclouds, "nextcloud", ":8090", "addresses of the Nextclouds, comma separated; a path after one is where it lives: :8090,:8093/cloud")
	flags.StringVar(&c.cozy, "cozy", ":8091", "address of the Cozy stack")
	flags.StringVar(&c.admin, "admin", ":8092", "address of the stack's admin API and of the Cloudery")
	flags.StringVar(&c.data, "data", "data", "folder of the Nextclouds' files and of the stack's contents")
	flags.BoolVar(&c.keep, "keep-contents", false, "keep what is uploaded to the stack in DATA/cozy; else it is hashed and dropped")
	flags.BoolVar(&c.checksums, "checksums", false, "Nextclouds offer MD5 and SHA1 of every file; the first listing reads them all")
	flags.StringVar(&c.users, "users", "", "users of the Nextclouds, comma separated: id:password or id:password:app-password:…")
	flags.StringVar(&c.instances, "instances", "", "hosts of the stack's instances, comma separated; a quota may follow: alice.localhost=5G")
	flags.StringVar(&c.adminPassword, "admin-password", "", "password of the admin API, whose user is admin; empty: nobody gets in")
	flags.StringVar(&c.clouderyToken, "cloudery-token", "", "bearer token of the Cloudery; empty: nobody gets in")
	flags.DurationVar(&c.tokenTTL, "token-ttl", 0, "life of the stack's tokens; 0: as a real stack's, 24h and 30m")
	flags.StringVar(&c.nextcloudProfile, "nextcloud-profile", "", "recorded costs that requests to the Nextclouds have: nextcloud32; empty: none")
	flags.StringVar(&c.cozyProfile, "cozy-profile", "", "recorded costs that requests to the stack have: cozy-stack; empty: none")
	flags.DurationVar(&c.grace, "shutdown-grace", 5*time.Second, "how long requests may go on after a stop")
	flags.StringVar(&c.logLevel, "log-level", "info", "debug, info, warn or error; debug logs every request")
	if err := fromEnvironment(flags, getenv); err != nil {
		return nil, err
	}
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unknown argument %q; try -help", flags.Arg(0))
	}
	return c, nil
}

func fromEnvironment(flags *flag.FlagSet, getenv func(string) string) error {
	var faults []error
	flags.VisitAll(func(f *flag.Flag) {
		name := "SIM_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value := getenv(name)
		if value == "" {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", name, err))
		}
	})
	return errors.Join(faults...)
}

// newStack makes the Cozy stack with its instances.
func (c *config) newStack(logger *slog.Logger) (*cozytest.Stack, error) {
	profile, err := cozytest.ProfileNamed(c.cozyProfile)
	if err != nil {
		return nil, err
	}
	settings := cozytest.Config{
		AdminUser: adminUser, AdminPassword: c.adminPassword, ClouderyToken: c.clouderyToken,
		TokenTTL: c.tokenTTL, Profile: profile, Logger: logger,
	}
	if c.keep {
		settings.Dir = filepath.Join(c.data, "cozy")
		if err := os.MkdirAll(settings.Dir, 0o700); err != nil {
			return nil, fmt.Errorf("make folder of contents: %w", err)
		}
	}
	stack := cozytest.New(settings)
	for _, text := range list(c.instances) {
		host, limit, limited := strings.Cut(text, "=")
		var quota tree.Bytes
		if limited {
			if err := quota.Set(limit); err != nil {
				return nil, fmt.Errorf("read quota of %s: %w", host, err)
			}
		}
		stack.AddInstance(host, cozytest.InstanceOptions{QuotaBytes: int64(quota)})
	}
	return stack, nil
}

// newNextcloud makes one of the Nextclouds; all have the same users, each with
// files of its own.
func (c *config) newNextcloud(name, subPath string, logger *slog.Logger) (*nextcloudtest.Server, error) {
	profile, err := nextcloudtest.ProfileNamed(c.nextcloudProfile)
	if err != nil {
		return nil, err
	}
	server := nextcloudtest.New(nextcloudtest.Config{
		Dir: filepath.Join(c.data, name), SubPath: subPath, Checksums: c.checksums, Profile: profile, Logger: logger,
	})
	for n, text := range list(c.users) {
		fields := strings.Split(text, ":")
		if len(fields) < 2 {
			return nil, fmt.Errorf("read user %d: want id:password", n+1) // the text may be a password
		}
		user := nextcloudtest.User{ID: fields[0], Password: fields[1]}
		for _, token := range fields[2:] {
			user.AppPasswords = append(user.AppPasswords, nextcloudtest.AppPassword{Token: token})
		}
		if err := server.AddUser(user); err != nil {
			return nil, err
		}
	}
	return server, nil
}

// nextcloudName is the name of the n-th Nextcloud and of its folder.
func nextcloudName(n int) string {
	if n == 0 {
		return "nextcloud"
	}
	return "nextcloud-" + strconv.Itoa(n+1)
}

func list(text string) []string {
	var items []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}
