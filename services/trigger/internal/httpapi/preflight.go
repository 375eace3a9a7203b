package httpapi

import (
	"net/http"

	"example.org/ncm/services/trigger/internal/request"
)

// preflightType names a resource that is stored nowhere.
const preflightType = "io.cozy.nextcloud.migrations.preflight"

type preflightAnswer struct {
	Data struct {
		Type       string              `json:"type"`
		ID         string              `json:"id"`
		Attributes preflightAttributes `json:"attributes"`
	} `json:"data"`
}

type preflightAttributes struct {
	// CanStart: no obstacle is known.
	CanStart  bool               `json:"can_start"`
	Fits      *bool              `json:"fits"` // null: not known
	Obstacles []request.Obstacle `json:"obstacles"`
	Source    struct {
		Path  string `json:"path"`
		Files *int64 `json:"files"`
		Bytes *int64 `json:"bytes"`
	} `json:"source"`
	Instance struct {
		Used  int64  `json:"used"`
		Quota *int64 `json:"quota"` // null: unlimited
		Free  *int64 `json:"free"`
	} `json:"instance"`
	Target struct {
		Path       string `json:"path"`
		Exists     bool   `json:"exists"`
		HasContent bool   `json:"has_content"`
	} `json:"target"`
}

// preflight answers POST …/preflight, which the stack does not have.
func (s *server) preflight(w http.ResponseWriter, r *http.Request) {
	order, err := readOrder(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	allowTime(w, 0)
	p, err := s.desk.Preflight(r.Context(), instanceOf(r), order)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	var answer preflightAnswer
	answer.Data.Type, answer.Data.ID = preflightType, "preflight"
	answer.Data.Attributes = attributesOf(p)
	s.writeData(w, r, http.StatusOK, answer)
}

func attributesOf(p request.Preflight) preflightAttributes {
	a := preflightAttributes{CanStart: len(p.Obstacles) == 0, Fits: p.Fits(), Obstacles: p.Obstacles}
	if a.Obstacles == nil {
		a.Obstacles = []request.Obstacle{}
	}
	a.Source.Path, a.Source.Files, a.Source.Bytes = p.SourcePath, p.Amount.Files, p.Amount.Bytes
	a.Instance.Used = p.Space.Used
	if p.Space.Quota > 0 {
		free := max(p.Space.Quota-p.Space.Used, 0)
		a.Instance.Quota, a.Instance.Free = &p.Space.Quota, &free
	}
	a.Target.Path, a.Target.Exists = p.TargetDir, p.Target.Exists
	a.Target.HasContent = p.Target.Exists && !p.Target.File && !p.Target.Empty
	return a
}
