CREATE TABLE `account` (
	`id` integer PRIMARY KEY NOT NULL,
	`domain` integer NOT NULL,
	`seq` integer DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE TABLE `folder` (
	`id` integer PRIMARY KEY NOT NULL,
	`account` integer NOT NULL,
	`parent` integer DEFAULT 0 NOT NULL,
	`name` text NOT NULL,
	`role` text,
	`uidvalidity` integer NOT NULL,
	`subscribed` integer DEFAULT true NOT NULL,
	`modseq` integer DEFAULT 0 NOT NULL,
	`gone` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `folder_name` ON `folder` (`account`,`parent`,`name`);--> statement-breakpoint
CREATE TABLE `message` (
	`id` integer PRIMARY KEY NOT NULL,
	`account` integer NOT NULL,
	`mid` text NOT NULL,
	`once` text NOT NULL,
	`thread` integer NOT NULL,
	`direction` text NOT NULL,
	`at` integer NOT NULL,
	`size` integer NOT NULL,
	`key` text NOT NULL,
	`sender` text NOT NULL,
	`subject` text NOT NULL,
	`preview` text NOT NULL,
	`meta` text NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `message_once` ON `message` (`account`,`mid`,`once`);--> statement-breakpoint
CREATE INDEX `message_account` ON `message` (`account`);--> statement-breakpoint
CREATE INDEX `message_thread` ON `message` (`thread`);--> statement-breakpoint
CREATE TABLE `outgoing` (
	`id` integer PRIMARY KEY NOT NULL,
	`account` integer NOT NULL,
	`message` integer NOT NULL,
	`sender` text NOT NULL,
	`envelope` text NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `outgoing_recipient` (
	`id` integer PRIMARY KEY NOT NULL,
	`outgoing` integer NOT NULL,
	`recipient` text NOT NULL,
	`state` text NOT NULL,
	`attempts` integer DEFAULT 0 NOT NULL,
	`due_at` integer,
	`reply` text,
	FOREIGN KEY (`outgoing`) REFERENCES `outgoing`(`id`) ON UPDATE no action ON DELETE no action
);
--> statement-breakpoint
CREATE INDEX `outgoing_due` ON `outgoing_recipient` (`due_at`) WHERE "outgoing_recipient"."due_at" is not null;--> statement-breakpoint
CREATE INDEX `outgoing_recipient_outgoing` ON `outgoing_recipient` (`outgoing`);--> statement-breakpoint
CREATE TABLE `placement` (
	`id` integer PRIMARY KEY NOT NULL,
	`account` integer NOT NULL,
	`message` integer NOT NULL,
	`modseq` integer NOT NULL,
	`created` integer NOT NULL,
	`flags` integer DEFAULT 0 NOT NULL,
	`keywords` text,
	`gone` integer,
	`waiting` integer,
	`refusal` text,
	`internal_at` integer
);
--> statement-breakpoint
CREATE INDEX `placement_account` ON `placement` (`account`,`modseq`);--> statement-breakpoint
CREATE INDEX `placement_message` ON `placement` (`message`);--> statement-breakpoint
CREATE INDEX `placement_waiting` ON `placement` (`waiting`) WHERE "placement"."waiting" is not null;