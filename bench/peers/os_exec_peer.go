// Makes and watches children with Go's os/exec; engines/programs.cpp says what is spoken.
//
//	bench-os-exec-peer HELPER MEMORY_DESCRIPTOR
package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

const clockMonotonic = 1

// The time package counts from its own start, so this asks the kernel. It is a true system call, not the vdso.
func now() int64 {
	var at syscall.Timespec
	syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&at)), 0)
	return at.Nano()
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	// A child dies with the thread that made it, so that is always this one, which lasts.
	runtime.LockOSThread()
	number, err := strconv.Atoi(os.Args[2])
	check(err)
	memory := os.NewFile(uintptr(number), "memory")
	fmt.Println("hello", now(), "Go", strings.TrimPrefix(runtime.Version(), "go"))
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		slot := strings.Fields(lines.Text())[1]
		began := now()
		child := exec.Command(os.Args[1], "3", slot, strconv.Itoa(os.Getpid()))
		child.Env = []string{}
		child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
		child.ExtraFiles = []*os.File{memory} // becomes descriptor 3
		check(child.Start())
		made := now()
		go func() {
			err := child.Wait()
			told := now()
			check(err)
			fmt.Println("told", slot, began, made, told)
		}()
	}
}
