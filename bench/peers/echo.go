// The echo server in Go, over net: a goroutine for each connection, a buffer for each goroutine.
// usage: echo [--host H] [--port P] [--work-us U]
package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// As large as that of io.Copy. io.Copy itself would splice through a pipe, which costs more for
// small messages, and its handlers could not look at the bytes.
const bufferSize = 32 * 1024

func main() {
	host := flag.String("host", "127.0.0.1", "address to listen on")
	port := flag.Int("port", 0, "port, 0: any")
	workUs := flag.Int("work-us", 0, "microseconds of computing per message")
	flag.Parse()

	listener, err := net.Listen("tcp", net.JoinHostPort(*host, fmt.Sprint(*port)))
	if err != nil {
		fmt.Fprintln(os.Stderr, "echo:", err)
		os.Exit(1)
	}
	go serve(listener, time.Duration(*workUs)*time.Microsecond)
	fmt.Printf("listening %s\n", listener.Addr())

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	<-stop
}

func serve(listener net.Listener, work time.Duration) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, "echo:", err)
			time.Sleep(10 * time.Millisecond)
			continue
		}
		go echo(connection, work)
	}
}

// Go turns Nagle's algorithm off by itself.
func echo(connection net.Conn, work time.Duration) {
	defer connection.Close()
	buffer := make([]byte, bufferSize)
	for {
		length, err := connection.Read(buffer)
		if length > 0 {
			if work > 0 {
				for start := time.Now(); time.Since(start) < work; {
				}
			}
			if _, err := connection.Write(buffer[:length]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
