"""GraphQL, compiled to SQL."""
