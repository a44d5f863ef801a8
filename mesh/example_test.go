package mesh_test

import (
	"fmt"

	"github.com/slapmesh/slapmesh/mesh"
)

func ExampleParseToken() {
	var token mesh.Token
	copy(token.Secret[:], "sixteen bytes!!!")
	pasted := token.String()

	_, err := mesh.ParseToken(pasted)
	fmt.Println("whole:", err)
	_, err = mesh.ParseToken(pasted[:50])
	fmt.Println("cut:", err)
	_, err = mesh.ParseToken("slapd1-b" + pasted[8:])
	fmt.Println("typo:", err)
	// Output:
	// whole: <nil>
	// cut: token: has 43 characters after its beginning, wants 84: was it cut off?
	// typo: token: mistyped somewhere (its checksum is wrong): copy it again
}
