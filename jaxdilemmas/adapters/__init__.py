"""Games with the interfaces of other libraries. Each module imports its library, so import only the module you need."""
