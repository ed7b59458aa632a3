package instinct

// The rules about causes, one list for each section.
var (
	timeRules  = []Rule{}
	bindsRules = []Rule{}
	helpsRules = []Rule{}
	whomRules  = []Rule{}
	moneyRules = []Rule{}
)
