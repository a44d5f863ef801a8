package portmap

// GatewayIn is for the tests.
var GatewayIn = gatewayIn
