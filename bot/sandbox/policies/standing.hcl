# Two identities, the standing one: the bot's own access key, and nothing else.
path "secret/data/oms/media/caller" {
  capabilities = ["read"]
}
path "secret/metadata/oms/media/caller" {
  capabilities = ["read"]
}
