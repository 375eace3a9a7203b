// Package rig gives each end-to-end test a system of its own: real PostgreSQL and
// RabbitMQ, and the programs of this repository as processes that are started,
// asked and killed from outside.
//
// The two containers and the built binaries are shared by all tests of a process;
// [Backends] makes them when the first test asks and [Backends.Main] removes them
// at the end, however the process ends. A [Rig] is what one test owns: a database,
// a virtual host of the broker, a simulated Cozy stack and Nextcloud, and the
// services that it starts. Rigs share nothing, so tests run in parallel.
//
// The images are those that .images.env names at the root of the repository, or
// POSTGRES_IMAGE and RABBITMQ_IMAGE, or else the official ones. Without Docker tests
// are skipped; where CI is set they fail. Under -race the programs are built with
// the race detector too, and what it finds fails the test. The whole logs of a test
// that failed are kept with the flags -artifacts and -outputdir.
package rig
