package instinct

// The rules about causes, one list for each section in the order of their IDs.
var (
	timeRules  = []Rule{promptSlope, promptHeavy, answerHeavy, stalls}
	bindsRules = []Rule{queueing, admissionLimit, memoryLimit, preemption, decodeLine, plateau, regression, bandwidth, jitter, overload, rateLimit}
	helpsRules = []Rule{cacheHit, freeBatching, quantisation, tensorParallel, contextGrowth, speculation, populations, batchVariance}
	whomRules  = []Rule{heavyTail, burstTax, goodputGap}
	moneyRules = []Rule{costKnee, dominated}
)
