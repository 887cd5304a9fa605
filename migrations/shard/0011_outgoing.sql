CREATE TABLE `outgoing` (
	`id` integer PRIMARY KEY NOT NULL,
	`domain` integer NOT NULL,
	`account` integer NOT NULL,
	`request` text NOT NULL,
	`mid` text NOT NULL,
	`key` text NOT NULL,
	`size` integer NOT NULL,
	`sender` text NOT NULL,
	`subject` text NOT NULL,
	`facts` text NOT NULL,
	`created_at` integer NOT NULL,
	`warned_at` integer DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `outgoing_request` ON `outgoing` (`account`,`request`);--> statement-breakpoint
CREATE TABLE `outgoing_recipient` (
	`id` integer PRIMARY KEY NOT NULL,
	`outgoing` integer NOT NULL,
	`recipient` text NOT NULL,
	`state` text NOT NULL,
	`attempts` integer DEFAULT 0 NOT NULL,
	`due` integer,
	`at` integer NOT NULL,
	`outcome` text
);
--> statement-breakpoint
CREATE INDEX `outgoing_due` ON `outgoing_recipient` (`due`) WHERE "outgoing_recipient"."due" is not null;--> statement-breakpoint
CREATE INDEX `outgoing_recipient_outgoing` ON `outgoing_recipient` (`outgoing`);