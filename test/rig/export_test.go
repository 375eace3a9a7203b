package rig

// MakeLink lets the tests of links make one without a rig.
var MakeLink = newLink
