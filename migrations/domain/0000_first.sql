CREATE TABLE `address` (
	`local` text PRIMARY KEY NOT NULL,
	`holders` text NOT NULL
);
--> statement-breakpoint
CREATE TABLE `facts` (
	`id` integer PRIMARY KEY NOT NULL,
	`domain` text NOT NULL,
	`version` integer NOT NULL,
	`mode` text NOT NULL,
	`probe_at` integer DEFAULT 0 NOT NULL,
	`failback_at` integer,
	`run` text,
	`unsaved` integer DEFAULT false NOT NULL
);
--> statement-breakpoint
CREATE TABLE `flight` (
	`key` text PRIMARY KEY NOT NULL,
	`state` text NOT NULL,
	`slot` integer DEFAULT 0 NOT NULL,
	`at` integer NOT NULL,
	`attempts` integer DEFAULT 0 NOT NULL,
	`due_at` integer DEFAULT 0 NOT NULL,
	`reply` text
);
--> statement-breakpoint
CREATE TABLE `log` (
	`seq` integer PRIMARY KEY NOT NULL,
	`at` integer NOT NULL,
	`kind` text NOT NULL,
	`actor` text NOT NULL,
	`data` text NOT NULL,
	`prev` text NOT NULL,
	`hash` text NOT NULL
);
--> statement-breakpoint
CREATE TABLE `probe` (
	`seq` integer PRIMARY KEY NOT NULL,
	`at` integer NOT NULL,
	`ok` integer NOT NULL,
	`result` text NOT NULL
);
--> statement-breakpoint
CREATE TABLE `seen_address` (
	`local` text PRIMARY KEY NOT NULL,
	`first_at` integer NOT NULL,
	`last_at` integer NOT NULL,
	`messages` integer DEFAULT 1 NOT NULL
);
