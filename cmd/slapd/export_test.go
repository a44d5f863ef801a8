package main

// Run is main by another clock.
var Run = slapd
