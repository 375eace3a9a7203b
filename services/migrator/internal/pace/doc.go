// Package pace finds out how much a server takes at once.
//
// More requests at once bring more files a second as long as the time is spent on
// waiting. From some point on, which differs from one in parallel to hundreds, they
// only make each other wait, and take the server away from its other users. Nobody
// can set that number for thousands of servers, so each one's is tried out: a limit
// is kept for a stretch of requests, then raised if the stretch was faster than the
// one before, taken back if it was not, lowered while requests take much longer than
// they did, and halved when the server says that it is busy.
//
// A limit belongs to a server and is shared by all that talk to it in one process.
package pace
