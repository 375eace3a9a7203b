module example.org/ncm/migrations

go 1.26.0
