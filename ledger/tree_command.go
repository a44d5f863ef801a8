package ledger

// parseTrees is ParseCommand for the commands about trees.
func parseTrees(kind string, data []byte) (Command, error) {
	switch kind {
	case Rename{}.Kind():
		return parse[Rename](data)
	case Bang{}.Kind():
		return parse[Bang](data)
	case Move{}.Kind():
		return parse[Move](data)
	case EndKept{}.Kind():
		return parse[EndKept](data)
	default:
		return parseFleet(kind, data)
	}
}
