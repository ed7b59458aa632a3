// Package interval bounds what a sample says about what it was taken from. It knows nothing of
// experiments: numbers in, bounds out.
package interval
