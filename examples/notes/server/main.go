// Notes keeps notes in a SQLite database and serves them over HTTP: POST / adds
// one, GET / lists them.
package main

import (
	"database/sql"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	_ "github.com/ncruces/go-sqlite3/driver"
	_ "github.com/ncruces/go-sqlite3/embed"
)

func main() {
	db, err := sql.Open("sqlite3", "file:"+os.Args[2])
	if err == nil {
		_, err = db.Exec("CREATE TABLE IF NOT EXISTS note (text TEXT)")
	}
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<16))
		if err == nil {
			_, err = db.Exec("INSERT INTO note VALUES (?)", string(text))
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	http.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		rows, err := db.Query("SELECT text FROM note")
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var text string
			if rows.Scan(&text) == nil {
				fmt.Fprintln(w, text)
			}
		}
	})
	log.Fatal(http.ListenAndServe(os.Args[1], nil))
}
