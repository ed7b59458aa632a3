// Package interval bounds what a sample says about what it was taken from. It knows nothing of
// experiments: numbers in, bounds out.
//
// It believes that
//
//   - a bound is worth what it covers, so each method here is held against synthetic
//     samples whose truth is known, and the share of them that it covers is a test;
//   - the same samples have the same interval every time: nothing is drawn by chance;
//   - a bound that a count cannot support is infinite, with a sentence that says what count
//     would, and what is not known is NaN;
//   - a difference is called where its interval leaves out "none" and the p-value agrees.
//
// What is bounded decides the function. A run is a series of requests in the order of time, each of
// which depends on those before it:
//
//	one run                [Mean]            [Quantile]
//	one run against one    [MeanRatio]       [SeriesQuantileRatio]
//	repeats                [RepeatsRatio]    [RepeatsRatio] of each repeat's quantile
//	points of a curve      [Fit]
//
// [Holm] corrects the p-values of several.
package interval
