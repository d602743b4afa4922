package sandbox

import (
	"fmt"
	"time"
)

// Doing does something, and says on the screen what it is and how long it takes.
func Doing(title string, do func() error) error {
	fmt.Printf("%s ...\n", title)
	started, done := time.Now(), make(chan struct{})
	go Still(title+" ...", started, done)
	err := do()
	close(done)
	if err == nil {
		fmt.Printf("%s: done in %.0f s\n", title, time.Since(started).Seconds())
	}
	return err
}

// Still says every five seconds that something goes on, until it is done.
func Still(what string, started time.Time, done <-chan struct{}) {
	for every := time.Tick(5 * time.Second); ; {
		select {
		case <-every:
			fmt.Printf("%s %.0f s\n", what, time.Since(started).Seconds())
		case <-done:
			return
		}
	}
}
