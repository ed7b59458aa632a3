package instinct

import "slices"

// rules is every rule, in the order of the telling.
var rules = slices.Concat(validityRules, timeRules, bindsRules, helpsRules, whomRules, moneyRules)
