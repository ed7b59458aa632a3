package instinct

// validityRules ask whether the run can be believed.
var validityRules = []Rule{}
