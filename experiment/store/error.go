package store

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/mattn/go-sqlite3"
)

// Code is what kind of thing went wrong, for a program to act on.
type Code string

// The codes of an [Error].
const (
	NotFound     Code = "not found"      // no such notebook, experiment, note, reading
	Invalid      Code = "invalid"        // the caller's input cannot be recorded
	Conflict     Code = "conflict"       // the name, number or run is taken
	ReadOnly     Code = "read-only"      // the notebook is open, or can be opened, for reading only
	NotANotebook Code = "not a notebook" // the file is not SQLite, or is somebody else's database
	TooNew       Code = "too new"        // the file needs a newer inferbook
	Locked       Code = "locked"         // another process holds the write lock
	Full         Code = "full"           // no room on the disk
	Damaged      Code = "damaged"        // the file is truncated or corrupt
)

// Error is a fault that a person can act on. It is found with [errors.As].
type Error struct {
	Code Code
	Msg  string // what is wrong, naming the file or the thing
	Hint string // what to do; may be empty

	cause error
}

// Error gives one sentence: what is wrong, and what to do.
func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Msg
	}
	return e.Msg + "; " + e.Hint
}

// Unwrap gives the cause, where there is one.
func (e *Error) Unwrap() error { return e.cause }

// is reports whether err carries code.
func is(err error, code Code) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}

func invalid(hint, format string, a ...any) error {
	return &Error{Code: Invalid, Msg: fmt.Sprintf(format, a...), Hint: hint}
}

// fault turns what SQLite or the file system says while doing something to the
// notebook at path into an [Error], or wraps it where there is nothing to advise.
func fault(path, doing string, err error) error {
	if err == nil {
		return nil
	}
	var own *Error
	if errors.As(err, &own) {
		return err
	}
	e := &Error{cause: err}
	var lite sqlite3.Error
	if !errors.As(err, &lite) {
		switch {
		case errors.Is(err, syscall.ENOSPC):
			lite.Code = sqlite3.ErrFull
		case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
			e.Code, e.Msg = ReadOnly, fmt.Sprintf("%s may not be written (%s)", path, doing)
			e.Hint = "check the permissions of the file and its folder"
			return e
		default:
			return fmt.Errorf("%s in %s: %w", doing, path, err)
		}
	}
	if lite.SystemErrno == syscall.ENOSPC {
		lite.Code = sqlite3.ErrFull
	}
	switch lite.Code {
	case sqlite3.ErrBusy, sqlite3.ErrLocked:
		e.Code, e.Msg = Locked, fmt.Sprintf("%s is locked by another process (%s)", path, doing)
		e.Hint = "wait for it to finish, or end it, and try again"
	case sqlite3.ErrFull:
		e.Code, e.Msg = Full, fmt.Sprintf("the disk of %s is full (%s)", path, doing)
		e.Hint = "free some space and try again; what was committed before is safe"
	case sqlite3.ErrCorrupt:
		e.Code, e.Msg = Damaged, fmt.Sprintf("%s is damaged or truncated (%s: %v)", path, doing, lite)
		e.Hint = "keep a copy of it, and go back to a backup"
	case sqlite3.ErrNotADB:
		e.Code, e.Msg = NotANotebook, path+" is not an inferbook notebook: it is not an SQLite file"
		e.Hint = `name another file, or make a notebook with "inferbook init"`
	case sqlite3.ErrReadonly, sqlite3.ErrPerm:
		e.Code, e.Msg = ReadOnly, fmt.Sprintf("%s cannot be written (%s)", path, doing)
		e.Hint = "check the permissions of the file and its folder"
	default:
		return fmt.Errorf("%s in %s: %w", doing, path, err)
	}
	return e
}
