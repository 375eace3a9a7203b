package request

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// preflightTimeout bounds what a preflight asks of the source after the login.
const preflightTimeout = 15 * time.Second

// Obstacle is a reason why a migration would not start or not succeed.
type Obstacle string

// The obstacles.
const (
	ObstacleActive  Obstacle = "migration_in_progress"
	ObstacleMissing Obstacle = "source_missing"
	ObstacleQuota   Obstacle = "quota_exceeded"
	ObstacleTarget  Obstacle = "target_is_a_file"
)

// Preflight is what can be known about a migration before it is asked for.
type Preflight struct {
	SourcePath string
	TargetDir  string
	Amount     Amount
	Space      Space
	Target     Folder
	Obstacles  []Obstacle // none: nothing is known to be in the way
}

// Fits says whether the source fits into the instance; nil: nobody knows.
func (p *Preflight) Fits() *bool {
	fits := true
	switch {
	case p.Space.Quota == 0:
		return &fits
	case p.Amount.Bytes == nil:
		return nil
	}
	fits = *p.Amount.Bytes <= max(p.Space.Quota-p.Space.Used, 0)
	return &fits
}

// Preflight looks at source and target without writing anything. A login that
// does not work is the error that Start would return.
func (d *Desk) Preflight(ctx context.Context, instance string, order Order) (Preflight, error) {
	order, err := order.checked()
	if err != nil {
		return Preflight{}, err
	}
	userID, err := d.checkLogin(ctx, instance, order)
	if err != nil {
		return Preflight{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, preflightTimeout)
	defer cancel()
	p := Preflight{SourcePath: order.SourcePath, TargetDir: order.TargetDir}
	p.Amount, err = d.Sources.Measure(ctx, order.account(userID), order.SourcePath)
	switch {
	case errors.Is(err, ErrNotFound):
		p.Obstacles = append(p.Obstacles, ObstacleMissing)
	case err != nil:
		return Preflight{}, fmt.Errorf("measure source: %w", err)
	}
	err = d.lookAtTarget(ctx, instance, &p)
	return p, err
}

func (d *Desk) lookAtTarget(ctx context.Context, instance string, p *Preflight) error {
	active, err := d.Documents.Active(ctx, instance)
	if err != nil {
		return fmt.Errorf("list active documents: %w", err)
	}
	if slices.ContainsFunc(active, func(d Document) bool { return d.inTheWay(time.Now()) != nil }) {
		p.Obstacles = append(p.Obstacles, ObstacleActive)
	}
	if p.Space, err = d.Targets.Space(ctx, instance); err != nil {
		return fmt.Errorf("read disk usage: %w", err)
	}
	if p.Target, err = d.Targets.Folder(ctx, instance, p.TargetDir); err != nil {
		return fmt.Errorf("look at target: %w", err)
	}
	if p.Target.File {
		p.Obstacles = append(p.Obstacles, ObstacleTarget)
	}
	if fits := p.Fits(); fits != nil && !*fits {
		p.Obstacles = append(p.Obstacles, ObstacleQuota)
	}
	return nil
}
