// name: package_versions(name, as_of) one read
// The ids of all versions of packages whose name is this one, however it is spelled, of every index.
MATCH (a:Package)
WHERE replace(replace(replace(replace(toLower(a.name), '_', '-'), '.', '-'), '--', '-'), '--', '-') = $name
  AND a.created_at <= $as_of
WITH a.id AS id ORDER BY id
RETURN collect(id) AS ids
