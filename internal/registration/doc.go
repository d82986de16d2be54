// Package registration has writes of versioned models fail where the plugin is not registered, instead of going unnoticed.
package registration
