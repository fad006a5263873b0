// What a Go service does: many short connections both ways, child processes, goroutines on all processors (which the
// runtime interrupts with SIGURG), look-ups by its own resolver over UDP and TCP.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

func must(err error) {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
}

func serve() string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	handler := http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		fmt.Fprint(answer, request.URL.Path)
	})
	go http.Serve(listener, handler)
	return "http://" + listener.Addr().String()
}

func dial(base string) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	var group sync.WaitGroup
	var mutex sync.Mutex
	right := 0
	for worker := 0; worker < 8; worker++ {
		group.Add(1)
		go func(worker int) {
			defer group.Done()
			for turn := 0; turn < 25; turn++ {
				path := fmt.Sprintf("/%d/%d", worker, turn)
				response, err := client.Get(base + path)
				must(err)
				body, err := io.ReadAll(response.Body)
				must(err)
				response.Body.Close()
				if string(body) == path {
					mutex.Lock()
					right++
					mutex.Unlock()
				}
			}
		}(worker)
	}
	group.Wait()
	fmt.Println("dials", right)
}

func start() {
	var group sync.WaitGroup
	for worker := 0; worker < 4; worker++ {
		group.Add(1)
		go func(worker int) {
			defer group.Done()
			for turn := 0; turn < 25; turn++ {
				word := fmt.Sprintf("%d.%d", worker, turn)
				said, err := exec.Command("echo", word).Output()
				must(err)
				if string(said) != word+"\n" {
					fmt.Println("wrong echo", string(said))
				}
			}
		}(worker)
	}
	group.Wait()
	fmt.Println("started 100")
	fmt.Println("status", exec.Command("sh", "-c", "exit 3").Run())
	_, err := exec.Command("no-such-program").Output()
	fmt.Println("missing", err)
	stopped := exec.Command("sleep", "60")
	must(stopped.Start())
	must(stopped.Process.Signal(syscall.SIGTERM))
	fmt.Println("ended", stopped.Wait())
}

func compute() {
	sums := make(chan int)
	for worker := 0; worker < 2000; worker++ {
		go func(worker int) {
			sum := 0
			for number := 0; number < 20000; number++ {
				sum += number % (worker + 1)
			}
			sums <- sum
		}(worker)
	}
	total := 0
	for worker := 0; worker < 2000; worker++ {
		total += <-sums
	}
	fmt.Println("sum", total)
}

func look(network string) {
	resolver := net.Resolver{PreferGo: true, Dial: func(context context.Context, _, address string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(context, network, address)
	}}
	addresses, err := resolver.LookupIP(context.Background(), "ip4", "other.test")
	fmt.Println(network, addresses, err)
	_, err = resolver.LookupIP(context.Background(), "ip4", "missing.test")
	fmt.Println(network, err != nil)
}

func refused() {
	_, err := net.DialTimeout("tcp", "127.0.0.1:9", time.Second)
	fmt.Println("refused", err)
	_, err = net.DialTimeout("tcp", "192.0.2.1:80", time.Second)
	fmt.Println("unreachable", err)
}

func signals() {
	noted := make(chan os.Signal, 1)
	signal.Notify(noted, syscall.SIGUSR1)
	for turn := 0; turn < 1000; turn++ {
		must(syscall.Kill(os.Getpid(), syscall.SIGUSR1))
		<-noted
	}
	fmt.Println("signals 1000")
}

func main() {
	dial(serve())
	start()
	compute()
	look("udp")
	look("tcp")
	refused()
	signals()
}
