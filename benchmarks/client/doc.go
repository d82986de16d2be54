// Package client measures what a write costs the program itself: allocations, bytes and instructions, against a driver that answers at once,
// so that the noise of servers is out.
//
//	go test -bench . ./client
//
// Instructions are counted with callgrind over a fixed number of calls:
//
//	GODEBUG=asyncpreemptoff=1 GOMAXPROCS=1 GOGC=off valgrind --tool=callgrind ./client.test -test.run '^$' -test.bench Update/occ -test.benchtime 2000x
package client
