// Looks names up with Go's own resolver, over datagrams and over streams.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
)

func main() {
	for _, network := range []string{"udp", "tcp"} {
		resolver := net.Resolver{PreferGo: true, Dial: func(context context.Context, _, address string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(context, network, address)
		}}
		for _, name := range os.Args[1:] {
			addresses, err := resolver.LookupHost(context.Background(), name)
			var failure *net.DNSError
			fmt.Println(network, name, addresses, errors.As(err, &failure) && failure.IsNotFound)
			_, err = resolver.LookupTXT(context.Background(), name)
			fmt.Println(network, name, "text", err != nil)
		}
	}
}
