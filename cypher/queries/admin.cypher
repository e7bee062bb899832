// name: set_own_password(password) none write
// Replace the password that a new server starts with.
ALTER CURRENT USER SET PASSWORD FROM 'neo4j' TO $password

// name: ping() one read
// Answer, to show that the graph can.
RETURN 1 AS answer
