package main

import (
	"context"
	"log/slog"
	"net/http"

	"example.org/ncm/pkg/queue"
	"example.org/ncm/services/migrator/internal/operate"
	"example.org/ncm/services/migrator/internal/page"
	"example.org/ncm/services/migrator/internal/postgres"
)

// newPage makes the operator's page. Its streams end with ctx.
func newPage(ctx context.Context, cfg *RunConfig, ledger *postgres.Ledger, ends *sides, logger *slog.Logger) (*page.Page, error) {
	letters, err := deadLetters(&cfg.Broker)
	if err != nil {
		return nil, err
	}
	return page.New(page.Config{
		Operator: operate.Operator{Ledger: ledger, Documents: ends},
		Letters:  &pageLetters{letters},
		Token:    cfg.OperatorToken.Reveal(),
		Logger:   logger,
		Stopping: ctx.Done(),
	})
}

// withPage puts the page beside probes and metrics.
func withPage(operations, screen http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", operations)
	mux.Handle(page.Path, screen)
	mux.Handle("GET /{$}", http.RedirectHandler(page.Path, http.StatusSeeOther))
	return mux
}

// pageLetters are the dead letters for the page.
type pageLetters struct {
	queue *queue.DeadLetters
}

// mostLetters is how many of the first are looked at.
const mostLetters = 200

// List implements page.DeadLetters.
func (p *pageLetters) List(ctx context.Context) ([]operate.DeadLetter, error) {
	found, err := p.queue.List(ctx, mostLetters)
	letters := make([]operate.DeadLetter, 0, len(found))
	for _, d := range found {
		letters = append(letters, shown(d))
	}
	return letters, err
}

// Replay implements page.DeadLetters.
func (p *pageLetters) Replay(ctx context.Context, id string) (int, error) {
	return p.queue.Replay(ctx, mostLetters, func(d queue.DeadLetter) bool { return d.MessageID == id })
}
