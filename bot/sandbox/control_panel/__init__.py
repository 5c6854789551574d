"""The control panel: the page that shows the sandbox, acts as its people, and switches faults on."""
