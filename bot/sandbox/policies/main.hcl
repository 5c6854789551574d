# Two identities, the standing one: the bot's own access key in each project, and nothing else.
path "secret/data/oms/+/caller" {
  capabilities = ["read"]
}
path "secret/metadata/oms/+/caller" {
  capabilities = ["read"]
}
