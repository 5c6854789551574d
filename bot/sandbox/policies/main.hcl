# The main identity, where there is a release identity too: reads only the bot's own access key in each project.
path "secret/data/oms/+/caller" {
  capabilities = ["read"]
}
path "secret/metadata/oms/+/caller" {
  capabilities = ["read"]
}
